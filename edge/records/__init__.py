"""What happened: git, dvc.lock, metrics, measurements, MLflow."""
