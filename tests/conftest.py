"""Pictures that tests make, and one small trained model that they share."""
